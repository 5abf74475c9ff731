"""The AWS CDK stack of the connect-message-sender: one module for each concern, wired in `stack.py`."""
