"""The passes, one per file; `compiler.pipeline` holds their order."""
