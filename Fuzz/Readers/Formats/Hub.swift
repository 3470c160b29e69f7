import EttinFiles
import EttinHub
import EttinJSON

extension FuzzReader {
    private static let commit = "0123456789abcdef0123456789abcdef01234567"

    static let hubCache = FuzzReader(
        name: "hub-cache",
        make: { dice in
            let root = "models--a--b"
            let words = [
                commit, "main", "", "refs/heads/main", commit + "\n", "0123", String(repeating: "f", count: 64),
            ]
            func changed(_ bytes: [UInt8], _ dice: inout Dice) -> [UInt8] {
                dice.chance(0.5) ? Array(dice.pick(words).utf8) : ByteMutation.mutated(bytes, &dice)
            }
            let reference = Array(commit.utf8)
            let index = Array(#"{"weight_map":{"a":"m-1.safetensors"}}"#.utf8)
            let names = [
                "config.json", "model.safetensors.index.json", "sub/x.bin", "..x", "a\\b", "é", "x.incomplete",
            ]
            return FuzzInput([
                ("\(root)/refs/main", dice.chance(0.25) ? changed(reference, &dice) : reference),
                ("\(root)/refs/pr/1", dice.chance(0.25) ? changed(reference, &dice) : reference),
                ("\(root)/snapshots/\(commit)/\(dice.pick(names))", Array("{}".utf8)),
                ("\(root)/snapshots/\(commit)/model.safetensors.index.json", JSONMutation().mutated(index, &dice)),
                (
                    "\(root)/blobs/\(dice.pick([commit, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "x", "0"]))",
                    dice.chance(0.5) ? [] : [1]
                ),
                (
                    "\(dice.pick(["models--", "models--a", "datasets--c--d", "x", "models--a--b--c", ".locks"]))/refs/main",
                    reference
                ),
            ])
        },
        read: { _, folder in
            let cache = HubCache(folder: folder)
            for repository in try cache.repositories() {
                _ = (repository.sizeBytes, repository.revisions.map(\.names))
            }
            _ = try cache.verify()
            _ = try cache.commit(of: HubReference("a/b"))
        },
        leavesFiles: true
    )

    private static let info =
        #"{"sha":"0123456789abcdef0123456789abcdef01234567","private":false,"gated":"auto","tags":["a"],"#
        + #""siblings":[{"rfilename":"config.json"},{"rfilename":"1_Pooling/config.json"}],"cardData":{"license":"mit"}}"#
    private static let tree =
        #"[{"type":"file","oid":"abc","size":12,"path":"config.json"},{"type":"directory","oid":"d","#
        + #""size":0,"path":"x"},{"type":"file","oid":"def","size":130,"path":"m.safetensors","lfs":{"oid":"123","size":9}}]"#

    static let hubListing = FuzzReader(
        name: "hub-listing",
        make: { dice in
            let mutation = JSONMutation(words: ["file", "lfs", "size", "oid", "rfilename", "../x", "/x", "C:x", "a//b"])
            let (name, seed) = dice.chance(0.5) ? ("info.json", info) : ("tree.json", tree)
            return FuzzInput(name, mutation.mutated(Array(seed.utf8), &dice))
        },
        read: { input, _ in
            let value = try JSONValue(parsing: input.first)
            let repository = try HubRepository("a/b")
            if input.files.first?.name == "info.json" {
                _ = try RepositoryInfo(value, of: repository, action: "reading")
            } else {
                let files = try RepositoryFile.listed(value, in: repository, action: "listing")
                _ = files.map(\.sizeBytes).clampedSum()
            }
        },
        usesFiles: false
    )
}
