"""Folders for Hugging Face's transformers: weights, tokenizer, code and model card."""
