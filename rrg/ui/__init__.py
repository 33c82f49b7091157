"""The Gradio app: a page and three HTTP endpoints that serve a model library and a feedback store."""
