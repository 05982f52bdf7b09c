from mobileseg.compress.table import Table


def test_words_stand_left_and_numbers_right():
    assert Table(["name", "n"], [["a", 5], ["longer", 1234]], words=1).markdown().splitlines() == [
        "| name   |    n |",
        "|--------|-----:|",
        "| a      |    5 |",
        "| longer | 1234 |",
    ]


def test_a_table_without_rows_is_its_head():
    assert Table(["a"], [], words=0).markdown() == "| a |\n|--:|"


def test_html_is_escaped():
    page = Table(["name", "n"], [["<a>", 5]], words=1).html()
    assert "<td>&lt;a&gt;</td><td class=n>5</td>" in page
    assert "<th>name</th><th class=n>n</th>" in page
