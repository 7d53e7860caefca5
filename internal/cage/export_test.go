package cage

// Without is a configuration of a cage that lacks one of its locks.
func Without(lock string) Config { return Config{without: lock} }
