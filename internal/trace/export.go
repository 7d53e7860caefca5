package trace

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Config says where spans go.
type Config struct {
	// URL of the collector, which speaks OTLP over HTTP: http://collector:4318. A path
	// that it has is taken as it is, else it is /v1/traces.
	URL string
	// Ratio of the traces that are recorded, 0 to 1. Who goes on with a trace does as
	// the one who began it.
	Ratio float64
	// Service and Version are those of the program.
	Service, Version string
	// Logger is told when the collector cannot be reached.
	Logger *slog.Logger
}

const (
	// exportTimeout bounds one sending, repetitions included.
	exportTimeout = 10 * time.Second
	// flushTimeout bounds the end.
	flushTimeout = 3 * time.Second
	// quiet is how long a fault of the same collector is not told again.
	quiet = time.Minute
)

// CheckURL says what is wrong with the URL of a collector.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("want the address of a collector of OTLP over HTTP, such as http://collector:4318")
	}
	return nil
}

// Start has spans sent, from now on and by the whole process. stop sends what is left,
// within a few seconds, and ends that.
//
// What is sent waits in memory, up to some thousand spans, for a collector that is slow
// or away. More are thrown away: nobody ever waits for it. The variables OTEL_... that
// the SDK reads count where nothing here is said otherwise: headers for the collector, a
// name for the service, sizes.
func Start(ctx context.Context, cfg Config) (stop func(), err error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	target := strings.TrimRight(cfg.URL, "/")
	if u, _ := url.Parse(target); u.Path == "" {
		target += "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(target), otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: exportTimeout}))
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	// What the environment says comes last, and counts.
	res, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.namespace", "mp3lathe"), attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("trace: what the environment says of this process cannot be read: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithResource(res), sdk.WithBatcher(exporter, sdk.WithBatchTimeout(time.Second)),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(cfg.Ratio))))
	otel.SetTracerProvider(provider)
	otel.SetErrorHandler(&faults{logger: cfg.Logger})
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		otel.SetTracerProvider(noop.NewTracerProvider())
		if err := provider.Shutdown(ctx); err != nil {
			cfg.Logger.Warn("some spans were not sent", "error", err)
		}
	}, nil
}

// faults logs what goes wrong with the sending, at times: a collector that is away would
// fill the log.
type faults struct {
	logger *slog.Logger
	mu     sync.Mutex
	last   time.Time
	silent int
}

// Handle implements [otel.ErrorHandler].
func (f *faults) Handle(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.last.IsZero() && time.Since(f.last) < quiet {
		f.silent++
		return
	}
	f.logger.Warn("spans cannot be sent to the collector", "error", err, "more", f.silent)
	f.last, f.silent = time.Now(), 0
}
