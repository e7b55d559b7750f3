"""What each function does, in one sentence for people who write expressions."""

from collections.abc import Mapping

#: Function name to sentence; the reference page shows them, and a test holds them complete.
SENTENCES: Mapping[str, str] = {
    "ABS": "The number without its sign.",
    "ALL": "Whether the condition holds for every row; true when there are none.",
    "ANY": "Whether the condition holds for at least one row.",
    "AVG": "The mean of the numbers, or of an expression over rows: `AVG(lines.amount)`.",
    "COALESCE": "The first value that is not empty.",
    "CONCAT": "The texts one after the other; empty adds nothing.",
    "CONTAINS": "Whether the first text holds the second.",
    "COUNT": "How many rows there are, or for how many the condition holds.",
    "DATE": "The store day of an instant.",
    "DATEADD": "The date or instant moved by so many units: day, week, month, quarter, year, …",
    "DATEDIFF": "How many whole units lie between the first and the second; days without a unit.",
    "DAY": "The day of the month, 1 to 31.",
    "IF": "The second value when the condition holds, else the third.",
    "LEFT": "The first so many characters, one without a number.",
    "LEN": "How many characters (code points) the text has.",
    "LOWER": "The text in lower case, character by character.",
    "MAX": "The greatest of the values, or of an expression over rows.",
    "MIN": "The least of the values, or of an expression over rows.",
    "MONTH": "The month, 1 to 12.",
    "MY_DEPARTMENTS": "The departments one holds a position in, or that position: `department "
    "in MY_DEPARTMENTS('head')`.",
    "MY_DEPARTMENTS_BELOW": "Those departments and all that are below them.",
    "MY_STORES": "The stores one works for or holds a position at, or that position: `store in "
    "MY_STORES('manager')`.",
    "MY_STORES_BELOW": "Those stores and all that are below them.",
    "NOW": "This instant.",
    "NUMBER": "The number that a text holds, or empty when it holds none.",
    "RIGHT": "The last so many characters, one without a number.",
    "ROUND": "The number rounded half up to so many places; whole without a second argument.",
    "STARTSWITH": "Whether the first text begins with the second.",
    "SUM": "The sum of the numbers, or of an expression: `SUM(lines, price * quantity)`.",
    "TEXT": "The value as text.",
    "TODAY": "The store's day.",
    "TRIM": "The text without blanks at its ends.",
    "UPPER": "The text in upper case, character by character.",
    "WEEKDAY": "The day of the week, Monday 1 to Sunday 7.",
    "YEAR": "The year.",
}
