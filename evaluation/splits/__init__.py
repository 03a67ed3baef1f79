"""Who stands in which part: protocols, and folds that cannot leak."""
