"""From an adapter to a model file: merge (safetensors), gguf (llama.cpp's format), modelfile (Ollama's recipe)."""
