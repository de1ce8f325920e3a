"""Tables, curves, pictures and summaries for Jupyter and the terminal, as HTML, SVG and text."""
