package gridimport

import (
	"context"
	"os"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

var server *testserver.MongoDBServer

func TestMain(m *testing.M) {
	os.Exit(testserver.Main(m, func(ctx context.Context) (*testserver.MongoDBServer, error) {
		return testserver.MongoDB(ctx, os.Getenv("MP3LATHE_TEST_MONGODB"))
	}, &server))
}
