// A log that is not NRM Hub's, for its witness: Tessera's own, on files, which publishes a checkpoint
// only once the witness has cosigned it.
//
//	stranger --dir DIR --key SKEY --witness VKEY --url URL --entries N
//
// Adds N entries in three lots, waits for each to be published, and prints the last checkpoint.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	dir := flag.String("dir", "", "where the log is")
	key := flag.String("key", "", "the log's signing key")
	vkey := flag.String("witness", "", "the witness's verifier key")
	at := flag.String("url", "", "where the witness is")
	entries := flag.Int("entries", 300, "how many entries to add")
	flag.Parse()
	if err := run(*dir, *key, *vkey, *at, *entries); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, key, vkey, at string, entries int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	signer, err := note.NewSigner(key)
	if err != nil {
		return err
	}
	place, err := url.Parse(at)
	if err != nil {
		return err
	}
	witness, err := tessera.NewWitness(vkey, place)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(time.Second).
		WithBatching(256, 100*time.Millisecond).
		WithWitnesses(tessera.NewWitnessGroup(1, witness), &tessera.WitnessOptions{})
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}
	published := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 100*time.Millisecond)
	for lot := range 3 {
		var last tessera.IndexFuture
		for n := range entries / 3 {
			last = appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "entry %d of %d", n, lot)))
		}
		if _, _, err := published.Await(ctx, last); err != nil {
			return err
		}
	}
	if err := shutdown(ctx); err != nil {
		return err
	}
	checkpoint, err := reader.ReadCheckpoint(ctx)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(checkpoint)
	return err
}
