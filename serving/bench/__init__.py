"""What answering costs, and that it goes on while versions change: `python -m serving bench` and `soak`.

`run` measures ways of asking (`ways`) under load (`load`) on processes of its own (`processes`), and
`report` compares them; `soak` swaps versions under load and judges every answer.
"""
