// Command ferretdb serves the protocol of MongoDB for tests: FerretDB with SQLite behind
// it, all in one process.
//
//	ferretdb -listen 127.0.0.1:27017 -data /tmp/x
//
// FerretDB 1.x carries out an update in two steps, a search and a change of what was found,
// and between them another update can come. MongoDB promises that a change of one document
// is one step. So that the tests meet that promise and no less, this program lets one
// command in at a time.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to serve")
	data := flag.String("data", "", "folder of the files, which must be there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *data); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, data string) error {
	socket := filepath.Join(data, "socket")
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// No test cuts the power.
	const pragmas = "?_pragma=synchronous(off)"
	db, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{Unix: socket}, Handler: "sqlite", SQLiteURL: "file:" + data + "/" + pragmas,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	var one sync.Mutex
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer server.Close()
				// Either side has gone: so goes the other.
				_ = relay(client, server, &one)
			}()
		}
	}()
	context.AfterFunc(ctx, func() { l.Close() })
	return db.Run(ctx)
}

// relay carries commands from a client to the server and the answers back, one command
// of all clients at a time, until a connection ends.
func relay(client, server net.Conn, one *sync.Mutex) error {
	for {
		command, err := message(client)
		if err != nil {
			return err
		}
		answer, err := ask(server, command, one)
		if err != nil {
			return err
		}
		if _, err := client.Write(answer); err != nil {
			return err
		}
	}
}

func ask(server net.Conn, command []byte, one *sync.Mutex) ([]byte, error) {
	one.Lock()
	defer one.Unlock()
	if _, err := server.Write(command); err != nil {
		return nil, err
	}
	return message(server)
}

// maxMessage is the longest message that MongoDB takes.
const maxMessage = 48_000_000

// message reads a message of the protocol, whose first four bytes are its length.
func message(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n < 16 || n > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	b := make([]byte, n)
	copy(b, head[:])
	_, err := io.ReadFull(r, b[4:])
	return b, err
}
