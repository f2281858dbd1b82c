"""Programs that measure and print. Times are ratios within one run; nothing here is a test."""
