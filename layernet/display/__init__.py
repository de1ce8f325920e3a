"""Tables, curves, pictures and summaries as HTML, SVG and text, for Jupyter and the terminal."""
