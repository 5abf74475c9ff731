"""The entry point of the second function, `Results`. It builds everything once, at init."""

from __future__ import annotations

import os

from message_sender import startup  # first, as in `handler`
from message_sender.results_application import create_handler

lambda_handler = create_handler(os.environ)

startup.finish()
