"""One pass a file; `compiler.pipeline` holds their order."""
