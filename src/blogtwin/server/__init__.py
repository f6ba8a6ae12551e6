"""The page and the API: what a writer asks the twin for, and what they say of it. It prints nothing; cli/serve.py starts it."""
