"""``mixer usage``: what is in the ledger."""
