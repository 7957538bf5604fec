"""What changes the database: each function is one transaction and announces what it did on commit."""
