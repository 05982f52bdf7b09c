from mobileseg.compress.markdown import render_markdown


def test_words_stand_left_and_numbers_right():
    assert render_markdown(["name", "n"], [["a", 5], ["longer", 1234]], words=1).splitlines() == [
        "| name   |    n |",
        "|--------|-----:|",
        "| a      |    5 |",
        "| longer | 1234 |",
    ]


def test_a_table_without_rows_is_its_head():
    assert render_markdown(["a"], [], words=0) == "| a |\n|--:|"
