import EttinJSON
import Testing

@testable import EttinRecipes

@Suite("Trees of recipes")
struct RecipeTreeTests {
    private static let text = """
        name: a
        size: {width: 1_024, rate: 3e-3}
        twice: ${size.width}
        label: ${name}-${size.width}
        names: [x, "1"]
        """

    private func tree(_ overrides: [String] = [], _ text: String = text) throws -> RecipeTree {
        var tree = try RecipeTree(Array(text.utf8), name: "r.yaml")
        for text in overrides { try tree.override(text) }
        try tree.interpolate()
        return tree
    }

    private func message(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("references are replaced, and plain texts that look like numbers are numbers")
    func values() throws {
        let json = try tree().root.json
        #expect(json["twice"] == 1024 && json["label"] == "a-1_024")
        #expect(json["size"]?["rate"] == 0.003)
        #expect(json["names"] == ["x", "1"])
    }

    @Test("overrides take the place of values before references are followed")
    func overrides() throws {
        let json = try tree(["size.width=2", "names.0=[1]", "new.key=yes"]).root.json
        #expect(json["twice"] == 2 && json["label"] == "a-2")
        #expect(json["names"] == [[1], "1"] && json["new"] == ["key": true])
    }

    @Test(
        "what is no recipe is named with its place",
        arguments: [
            (
                "a: [1",
                "r.yaml: line 2 is not YAML: did not find expected ',' or ']'; expected a mapping of a recipe's keys"
            ),
            ("- 1", "r.yaml: is a list; expected a mapping of a recipe's keys"),
            (
                "a: ${nme}\nname: 1",
                "r.yaml:1: a: refers to nme, which is not in the recipe; expected the name of a key of the recipe; "
                    + "did you mean name?"
            ),
            ("a: ${b}\nb: ${a}", "r.yaml:1: a: refers to itself: b → a → b; expected a value at the end"),
        ]
    )
    func refused(text: String, expected: String) {
        #expect(message { _ = try tree([], text) } == expected)
    }

    @Test("an unknown key is named with the nearest known one, or with the place where it belongs")
    func unknownKeys() throws {
        let schema = RecipeSchema(
            document: "a recipe",
            sections: [.init(path: "", keys: ["name", "size"]), .init(path: "size", keys: ["width", "rate"])]
        )
        func read(_ text: String) throws {
            let top = try RecipeSection(
                tree([], text).root,
                path: "",
                name: "r.yaml",
                schema: ["name", "size"],
                of: schema
            )
            _ = try top.section("size", ["width", "rate"])
        }
        #expect(
            message { try read("nam: 1") }
                == "r.yaml:1: nam: is not a key of a recipe; expected a known key; did you mean name?"
        )
        #expect(
            message { try read("width: 1") }
                == "r.yaml:1: width: is not a key of a recipe; expected a known key; did you mean size.width?"
        )
        #expect(
            message { try read("size: {colour: 1}") }
                == "r.yaml:1: size.colour: is not a key of size; expected one of width, rate"
        )
    }

    @Test(
        "the nearest name is one that differs little or begins alike",
        arguments: [("learning_rte", "learning_rate"), ("sched", "scheduler"), ("qqqq", nil)]
    )
    func spelling(name: String, nearest: String?) {
        #expect(SpellingSuggestion.nearest(name, ["learning_rate", "scheduler", "precision"]) == nearest)
    }
}
