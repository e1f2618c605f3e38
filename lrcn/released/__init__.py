"""What others have published and a person fetches: nets' weights and data sets, as tables; the fetching of weights."""
