"""Runtimes serve a deployed model: Ollama, or llama.cpp embedded in this process."""
