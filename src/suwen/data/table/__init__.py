"""Tables: one row a person, one column a fact, some of them to be predicted."""
