"""The entry point of the second function, `Results`. It builds everything once, at init."""

from __future__ import annotations

import gc
import os

gc.disable()  # as in `handler`

from message_sender.results_application import create_handler  # noqa: E402  # after gc.disable

lambda_handler = create_handler(os.environ)

gc.freeze()
gc.enable()
