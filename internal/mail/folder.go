package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"time"
)

// Folder writes mails into a folder instead of sending them, for a system that runs
// without a mail server: one .eml file each, which mail programs can open. The
// names begin with the time and sort by it. It is safe for use by many goroutines.
type Folder struct {
	dir  string
	from *netmail.Address
}

// NewFolder returns a sender into a folder, which is made if need be, for the
// user's eyes only. From is as in [Config.From].
func NewFolder(dir, from string) (*Folder, error) {
	a, err := parseFrom(from)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return &Folder{dir: dir, from: a}, nil
}

// Send writes a message as <time>-<ID>.eml. The file is there and complete, or it is
// not there.
func (f *Folder) Send(ctx context.Context, m Message) error {
	now := time.Now().UTC()
	msg, err := m.build(f.from, now)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &failure{err: err}
	}
	// The ID has no characters that mean anything to a file system: build saw to it.
	name := now.Format("20060102T150405.000000000Z") + "-" + m.ID + ".eml"
	if err := f.write(name, msg); err != nil {
		return &failure{err: err}
	}
	return nil
}

// write makes a file by way of a hidden one.
func (f *Folder) write(name string, msg io.WriterTo) (err error) {
	temp, err := os.CreateTemp(f.dir, ".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() {
		temp.Close()
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	if _, err := msg.WriteTo(temp); err != nil {
		return err
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), filepath.Join(f.dir, name))
}
