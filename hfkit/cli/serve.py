"""What the help of `hfkit serve` says."""

SERVE = """Serve MODELS over HTTP, with a page to try them.

Each is a run, or a model with a trained head. Clients of Hugging Face, of Text Embeddings Inference
and of OpenAI can ask it; many requests are computed together. Ctrl-C answers what was accepted, and
ends it. The token that other machines need is read from HFKIT_SERVE_TOKEN, or from a file.

\b
  hfkit serve out                                 the page: http://127.0.0.1:8765/
  hfkit serve reviews=out qa=runs/squad           two models, /models/reviews and /models/qa
  hfkit serve nli -t zero-shot --port 8000
  hfkit serve out --host 0.0.0.0 --token-file token.txt
"""
