"""The entry point that the Lambda runtime imports. It builds everything once, at init."""

from __future__ import annotations

import os

from message_sender import startup  # first: it prepares the imports below
from message_sender.application import create_handler

lambda_handler = create_handler(os.environ)

startup.finish()
