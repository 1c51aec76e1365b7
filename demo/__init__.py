"""The Gradio interface. No codec logic lives here: everything goes through :class:`picd.Codec`."""
