"""Send a message through each event source to a chat of Amazon Connect, and check the outcome."""
