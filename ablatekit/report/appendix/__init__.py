"""What sections share: their findings, what tables lack, and each sentence said once."""
