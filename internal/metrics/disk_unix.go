//go:build linux || darwin

package metrics

import "syscall"

// usage returns the size of a file system in bytes, and how many an ordinary user may
// still write.
func usage(folder string) (size, free uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, 0, err
	}
	block := uint64(s.Bsize)
	return s.Blocks * block, s.Bavail * block, nil
}
