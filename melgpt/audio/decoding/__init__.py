"""From a file to blocks of samples: which decoder reads what, joined files, wrong headers, damage."""
