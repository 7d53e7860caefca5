package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/term"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// openInput opens an input so that it can be read at any place. What comes
// through a pipe is stored in a temporary file first.
func openInput(ctx context.Context, name string, stdin io.Reader) (io.ReadSeeker, func(), error) {
	if name == "-" {
		return seekable(ctx, stdin, func() {})
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, refuseOpen(name, err)
	}
	src, closeSource, err := seekable(ctx, f, func() { f.Close() })
	if err != nil {
		f.Close()
	}
	return src, closeSource, err
}

// seekable returns r from its present place on. closeReader is called by the
// function returned.
func seekable(ctx context.Context, r io.Reader, closeReader func()) (io.ReadSeeker, func(), error) {
	f, ok := r.(*os.File)
	if !ok {
		return spool(ctx, r, closeReader)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		if here, err := f.Seek(0, io.SeekCurrent); err == nil && here > 0 {
			return io.NewSectionReader(f, here, max(info.Size()-here, 0)), closeReader, nil
		}
		return f, closeReader, nil
	case mode.IsDir():
		return nil, nil, &refusal{codeNotAFile, "it is a folder", "name the files in it"}
	case mode&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		return spool(ctx, f, closeReader)
	}
	return nil, nil, &refusal{codeNotAFile, "it is not a file", "give a file, or pipe one into -"}
}

// spool stores all of r in a temporary file without a name, which vanishes with
// the process however it ends.
func spool(ctx context.Context, r io.Reader, closeReader func()) (io.ReadSeeker, func(), error) {
	f, err := os.CreateTemp("", "mp3lathe-*.spool")
	if err != nil {
		return nil, nil, refuseSpool(err)
	}
	os.Remove(f.Name())
	// A read of a pipe cannot be interrupted, so it is left behind if the
	// context ends; it ends with the pipe or the process.
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(f, r)
		copied <- err
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, nil, refuseSpool(err)
	}
	return f, func() { f.Close(); closeReader() }, nil
}

func refuseSpool(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &refusal{transcode.CodeIO, "no room in " + os.TempDir() + " to store what comes through the pipe",
			"set TMPDIR to a folder with more room"}
	}
	return err
}

// isTerminal reports whether an input or output is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
