"""The AWS CDK stack of the connect-message-sender. `stack.py` connects its parts."""
