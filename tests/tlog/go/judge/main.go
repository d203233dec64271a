// Judge a log that NRM Hub published, with Go's own transparency log packages and none of ours.
//
//	judge log    --source DIR|URL --vkey VKEY [--witness VKEY] [--quorum N] [EARLIER…]
//	judge fsck   --source DIR|URL --vkey VKEY
//	judge proof  --vkey VKEY [--witness VKEY] [--quorum N] FILE
//
// log: the checkpoint's signatures and cosignatures, every tile, the inclusion of every entry, and
// that every earlier checkpoint (files) is a prefix of the newest. fsck: Tessera's own check.
// Prints one line of JSON; exit status 1 and the reason on standard error if something does not hold.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

var (
	flags     = flag.NewFlagSet("judge", flag.ExitOnError)
	source    = flags.String("source", "", "folder or URL of the log")
	vkey      = flags.String("vkey", "", "the log's verifier key")
	quorum    = flags.Int("quorum", 0, "how many witnesses must have cosigned")
	witnesses list
)

func main() {
	flags.Var(&witnesses, "witness", "a witness's verifier key")
	if len(os.Args) < 2 {
		fail(errors.New("log, fsck or proof"))
	}
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	commands := map[string]func() (map[string]any, error){
		"log": judgeLog, "fsck": judgeFsck, "proof": judgeProof,
	}
	command, known := commands[os.Args[1]]
	if !known {
		fail(errors.New("log, fsck or proof"))
	}
	said, err := command()
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// read gives a file of the log, from a folder or over HTTP.
func read(path string) ([]byte, error) {
	if !strings.HasPrefix(*source, "http") {
		return os.ReadFile(filepath.Join(*source, path))
	}
	answer, err := http.Get(strings.TrimSuffix(*source, "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

type head struct {
	tree     tlog.Tree
	cosigned int
}

// open verifies a signed checkpoint: the log's signature, and every cosignature of a known witness.
func open(signed []byte) (head, error) {
	logKey, err := note.NewVerifier(*vkey)
	if err != nil {
		return head{}, fmt.Errorf("log key: %w", err)
	}
	known := []note.Verifier{logKey}
	for _, one := range witnesses {
		verifier, err := fnote.NewVerifierForCosignatureV1(one)
		if err != nil {
			return head{}, fmt.Errorf("witness key: %w", err)
		}
		known = append(known, verifier)
	}
	opened, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return head{}, err
	}
	found := head{}
	byLog := false
	for _, one := range opened.Sigs {
		if one.Name == logKey.Name() && one.Hash == logKey.KeyHash() {
			byLog = true
			continue
		}
		at, err := fnote.CoSigV1Timestamp(one)
		if err != nil || at.Unix() <= 0 {
			return head{}, fmt.Errorf("cosignature of %s has no time: %v", one.Name, err)
		}
		found.cosigned++
	}
	if !byLog {
		return head{}, errors.New("the log has not signed the checkpoint")
	}
	var parsed log.Checkpoint
	if _, err := parsed.Unmarshal([]byte(opened.Text)); err != nil {
		return head{}, err
	}
	if parsed.Origin != logKey.Name() {
		return head{}, fmt.Errorf("the checkpoint is of %q", parsed.Origin)
	}
	found.tree = tlog.Tree{N: int64(parsed.Size), Hash: tlog.Hash(parsed.Hash)}
	return found, nil
}

// tiles serves x/mod's tile reader from the log; that proves every tile against the tree's root, each
// time it is used. Files are read once.
type tiles map[string][]byte

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (known tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for at, tile := range wanted {
		name := path(tile)
		if known[name] == nil {
			data, err := read(name)
			if err != nil {
				return nil, err
			}
			known[name] = data
		}
		found[at] = known[name]
	}
	return found, nil
}

// path is the C2SP spelling; x/mod's own has the tile's height in it, as Go's checksum database does.
func path(tile tlog.Tile) string {
	partial := uint8(tile.W % 256)
	if tile.L < 0 {
		return layout.EntriesPath(uint64(tile.N), partial)
	}
	return layout.TilePath(uint64(tile.L), uint64(tile.N), partial)
}

func judgeLog() (map[string]any, error) {
	signed, err := read("checkpoint")
	if err != nil {
		return nil, err
	}
	newest, err := open(signed)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if newest.cosigned < *quorum {
		return nil, fmt.Errorf("%d witnesses have cosigned, not %d", newest.cosigned, *quorum)
	}
	hashes := tlog.TileHashReader(newest.tree, tiles{})
	files := 0
	for _, tile := range tlog.NewTiles(8, 0, newest.tree.N) {
		if err := judgeTile(tile, newest.tree); err != nil {
			return nil, err
		}
		files++
	}
	entries, err := judgeEntries(newest.tree, hashes)
	if err != nil {
		return nil, err
	}
	earlier := 0
	for _, name := range flags.Args() {
		if err := judgeEarlier(name, newest.tree, hashes); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		earlier++
	}
	return map[string]any{"size": newest.tree.N, "tiles": files, "entries": entries,
		"earlier": earlier, "cosigned": newest.cosigned}, nil
}

// judgeTile reads a tile's last hash through the proving reader, which checks the whole tile.
func judgeTile(tile tlog.Tile, tree tlog.Tree) error {
	at := tlog.StoredHashIndex(8*tile.L, tile.N*256+int64(tile.W)-1)
	if _, err := tlog.TileHashReader(tree, tiles{}).ReadHashes([]int64{at}); err != nil {
		return fmt.Errorf("%s: %w", path(tile), err)
	}
	return nil
}

func judgeEntries(tree tlog.Tree, hashes tlog.HashReader) (int, error) {
	count := 0
	for first := int64(0); first < tree.N; first += 256 {
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(min(256, tree.N-first))}
		data, err := read(path(tile))
		if err != nil {
			return 0, err
		}
		var bundle api.EntryBundle
		if err := bundle.UnmarshalText(data); err != nil {
			return 0, fmt.Errorf("%s: %w", path(tile), err)
		}
		if len(bundle.Entries) != tile.W {
			return 0, fmt.Errorf("%s has %d entries", path(tile), len(bundle.Entries))
		}
		for at, entry := range bundle.Entries {
			index := first + int64(at)
			inclusion, err := tlog.ProveRecord(tree.N, index, hashes)
			if err != nil {
				return 0, fmt.Errorf("entry %d: %w", index, err)
			}
			leaf := tlog.RecordHash(entry)
			if err := tlog.CheckRecord(inclusion, tree.N, tree.Hash, index, leaf); err != nil {
				return 0, fmt.Errorf("entry %d: %w", index, err)
			}
			count++
		}
	}
	return count, nil
}

func judgeEarlier(name string, newest tlog.Tree, hashes tlog.HashReader) error {
	signed, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	earlier, err := open(signed)
	if err != nil {
		return err
	}
	if earlier.tree.N > newest.N {
		return fmt.Errorf("it covers %d entries, the log has %d", earlier.tree.N, newest.N)
	}
	connection, err := tlog.ProveTree(newest.N, earlier.tree.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(connection, newest.N, newest.Hash, earlier.tree.N, earlier.tree.Hash)
}

func judgeFsck() (map[string]any, error) {
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return nil, err
	}
	var from fsck.Fetcher = &client.FileFetcher{Root: *source}
	if strings.HasPrefix(*source, "http") {
		place, err := url.Parse(*source)
		if err != nil {
			return nil, err
		}
		if from, err = client.NewHTTPFetcher(place, nil); err != nil {
			return nil, err
		}
	}
	check := fsck.New(verifier.Name(), verifier, from, leafHashes, fsck.Opts{N: 2})
	if err := check.Check(context.Background()); err != nil {
		return nil, err
	}
	return map[string]any{"resources": check.Status().ResourcesFetched}, nil
}

func leafHashes(data []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(data); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, entry := range bundle.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

// judgeProof reads a c2sp.org/tlog-proof@v1 whose extra data is the entry.
func judgeProof() (map[string]any, error) {
	data, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return nil, err
	}
	said, checkpoint, _ := strings.Cut(string(data), "\n\n")
	lines := strings.Split(said, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, errors.New("no proof")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return nil, err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return nil, err
	}
	var inclusion tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		inclusion = append(inclusion, hash)
	}
	at, err := open([]byte(checkpoint))
	if err != nil {
		return nil, err
	}
	if at.cosigned < *quorum {
		return nil, fmt.Errorf("%d witnesses have cosigned, not %d", at.cosigned, *quorum)
	}
	err = tlog.CheckRecord(inclusion, at.tree.N, at.tree.Hash, index, tlog.RecordHash(entry))
	return map[string]any{"size": at.tree.N, "index": index, "cosigned": at.cosigned}, err
}
