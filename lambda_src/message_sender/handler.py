"""The entry point that the Lambda runtime imports. Everything is made at init, once."""

from __future__ import annotations

import os

from message_sender.application import create_handler

lambda_handler = create_handler(os.environ)
