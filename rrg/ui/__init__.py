"""The Gradio app: one page and three HTTP endpoints over a model library and a feedback store."""
