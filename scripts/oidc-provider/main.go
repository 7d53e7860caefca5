// Command oidc-provider is a provider of OpenID Connect for tests: the example of
// zitadel/oidc, a certified implementation, with its pages, for one client.
//
//	oidc-provider -listen 127.0.0.1:9998 -users users.json -redirect http://127.0.0.1:8080/v1/auth/oidc/x/callback
//
// The issuer is http:// and the address. The client is called mp3lathe, its secret is in
// OIDC_CLIENT_SECRET. The file of users is the example's: a JSON object of users by their
// IDs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9998", "address to serve")
	users := flag.String("users", "", "file of the users")
	redirect := flag.String("redirect", "", "redirect URIs of the client, with commas between")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *users, *redirect); err != nil {
		fmt.Fprintln(os.Stderr, "oidc-provider:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, users, redirect string) error {
	store, err := storage.StoreFromFile(users)
	if err != nil {
		return err
	}
	storage.RegisterClients(storage.WebClient("mp3lathe", os.Getenv("OIDC_CLIENT_SECRET"), strings.Split(redirect, ",")...))
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	server := &http.Server{
		Handler:           exampleop.SetupServer("http://"+l.Addr().String(), storage.NewStorage(store), logger, false),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
