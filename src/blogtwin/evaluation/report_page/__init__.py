"""What eval_report.html says and draws: a Report → words, charts and advice, which page.html.j2 sets and page.css dresses."""
