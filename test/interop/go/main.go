// Command verify authenticates every leaf of a ledger directory with golang.org/x/mod/sumdb, which nobody here wrote:
// note.Open checks the checkpoint's signature, tlog.TileHashReader authenticates each tile it reads against the signed root.
//
//	verify VERIFIER_KEY DIRECTORY
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/ioutil"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// reader serves tiles from the directory. tlog's own paths name the height ("tile/8/0/000"), C2SP tlog-tiles' do not.
type reader struct{ directory string }

func (r reader) Height() int                     { return height }
func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}
func (r reader) path(t tlog.Tile) string {
	return filepath.Join(r.directory, strings.Replace(t.Path(), "tile/8/", "tile/", 1))
}

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		bytes, err := ioutil.ReadFile(r.path(tile))
		if err != nil {
			return nil, err
		}
		data[i] = bytes
	}
	return data, nil
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(key, directory string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	signed, err := ioutil.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return err
	}
	checkpoint, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	lines := strings.Split(checkpoint.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return fmt.Errorf("not a root")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return leaves(reader{directory}, tree)
}

func leaves(r reader, tree tlog.Tree) error {
	indexes := make([]int64, tree.N)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	hashes, err := tlog.TileHashReader(tree, r).ReadHashes(indexes)
	if err != nil {
		return err
	}
	for n := int64(0); n < tree.N; n += 256 {
		width := tree.N - n
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: height, L: 0, N: n / 256, W: int(width)}
		path := strings.Replace(r.path(tile), "tile/0/", "tile/entries/", 1)
		bundle, err := ioutil.ReadFile(path)
		if err != nil {
			return err
		}
		for i := n; i < n+width; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("entry %d: the bundle is cut", i)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			leaf := tlog.RecordHash(bundle[2 : 2+length])
			if !bytes.Equal(leaf[:], hashes[i][:]) {
				return fmt.Errorf("entry %d: not the leaf that the tree holds", i)
			}
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			return fmt.Errorf("bytes behind entry %d", n+width-1)
		}
	}
	fmt.Printf("%d leaves\n", tree.N)
	return nil
}
