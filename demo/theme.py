"""How the page looks: system fonts, one accent colour, light and dark."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import sizes

FONT = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    secondary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.slate,
    radius_size=sizes.radius_lg,
    font=FONT,
    font_mono=MONO,
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
    block_border_width="1px",
    block_shadow="0 1px 2px 0 rgb(15 23 42 / 0.05)",
    block_label_background_fill="white",
    block_label_background_fill_dark="*neutral_900",
    block_label_border_width="0px",
    block_label_text_color="*neutral_500",
    block_label_text_weight="500",
    block_title_text_weight="500",
    input_background_fill="white",
    input_background_fill_dark="*neutral_800",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_500",
    button_primary_text_color="white",
    button_primary_text_color_dark="white",
    button_large_text_weight="600",
    button_secondary_background_fill="white",
    button_secondary_background_fill_hover="*neutral_100",
    button_secondary_background_fill_dark="*neutral_800",
    button_secondary_background_fill_hover_dark="*neutral_700",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_600",
    button_border_width="1px",
    button_large_radius="*radius_lg",
    button_secondary_text_color="*neutral_800",
    checkbox_label_background_fill="transparent",
    checkbox_label_background_fill_dark="transparent",
    checkbox_label_background_fill_hover="*neutral_100",
    checkbox_label_background_fill_hover_dark="*neutral_800",
    checkbox_label_background_fill_selected="*primary_50",
    checkbox_label_background_fill_selected_dark="*primary_950",
    checkbox_label_border_color="*neutral_300",
    checkbox_label_border_color_dark="*neutral_700",
    checkbox_label_border_color_selected="*primary_600",
    checkbox_label_border_width="1px",
    checkbox_label_border_width_dark="1px",
    checkbox_background_color_selected="*primary_600",
    checkbox_border_color_selected="*primary_600",
    body_text_color_subdued="*neutral_500",  # the default, 400, is too faint to read on white
    body_text_color_subdued_dark="*neutral_400",
    color_accent="*primary_600",
    slider_color="*primary_600",
)

CSS = (Path(__file__).parent / "page.css").read_text("utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text("utf-8")

LOOK = {"theme": THEME, "css": CSS, "head": f"<script>{SCRIPT}</script>"}
"""What ``Blocks.launch`` takes."""
