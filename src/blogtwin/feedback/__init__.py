"""What readers preferred, and the versions it decides between. In: generations and judgements. Out: the database's rows."""
