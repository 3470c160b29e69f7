import EttinFiles
package import EttinRecipes
import EttinTraining

/// Reads the data sets of a recipe.
struct DatasetReader {
    private static let keys = ["path", "columns", "select", "test_size", "seed"]

    private let section: RecipeSection
    /// Every key of the recipe.
    private let schema: RecipeSchema

    init(_ section: RecipeSection, of schema: RecipeSchema) { (self.section, self.schema) = (section, schema) }

    func train() throws -> [DatasetRecipe] {
        guard section.has("train_dataset") else {
            throw section.missing("train_dataset", "a file, a folder or a name on the Hub")
        }
        var sets = try datasets("train_dataset")
        let columns = try section.texts("columns")
        let select = try section.int("train_select", in: 1...Int.largestCount)
        let split = try split(section.section("train_test_split", ["test_size", "seed"]))
        for index in sets.indices {
            sets[index].columns = sets[index].columns ?? columns
            sets[index].select = sets[index].select ?? select
            sets[index].split = sets[index].split ?? split
        }
        return sets
    }

    func evaluation(_ train: [DatasetRecipe]) throws -> [DatasetRecipe] {
        guard section.has("eval_dataset") else { return [] }
        var sets = try datasets("eval_dataset")
        let columns = try section.texts("columns")
        let select = try section.int("eval_select", in: 1...Int.largestCount)
        for index in sets.indices {
            let twin = train.first { $0.name == sets[index].name }
            sets[index].columns = sets[index].columns ?? twin?.columns ?? columns
            sets[index].select = sets[index].select ?? select
            guard sets[index].split == nil else {
                throw section.problem("eval_dataset", "has a test_size", "test_size in train_dataset")
            }
        }
        return sets
    }

    private func datasets(_ key: String) throws -> [DatasetRecipe] {
        guard let node = section.node(key) else { return [] }
        guard case .mapping(let members) = node.content else { return [try dataset(node, key, name: nil)] }
        if members.contains(where: { $0.key == "path" }) { return [try dataset(node, key, name: nil)] }
        guard !members.isEmpty else { throw section.wrong(key, node, "a file, or a mapping of names to files") }
        return try members.map { try dataset($0.value, "\(key).\($0.key)", name: $0.key) }
    }

    private func dataset(_ node: YAMLNode, _ path: String, name: String?) throws -> DatasetRecipe {
        guard case .mapping = node.content else {
            var set = DatasetRecipe(try Self.texts(node, path, section.name))
            set.name = name
            return set
        }
        let own = try RecipeSection(node, path: path, name: section.name, schema: Self.keys, of: schema)
        guard let files = own.node("path") else { throw own.missing("path", "a file, a folder or a name on the Hub") }
        var set = DatasetRecipe(
            try Self.texts(files, "\(path).path", section.name),
            columns: try own.texts("columns")
        )
        set.name = name
        set.select = try own.int("select", in: 1...Int.largestCount)
        set.split = try split(own)
        return set
    }

    private func split(_ values: RecipeSection) throws -> DatasetRecipe.Split? {
        let size = try values.double("test_size", "a number of rows, or a fraction below 1") {
            $0 > 0 && ($0 < 1 || ($0 == $0.rounded() && $0 <= Double(Int.largestCount)))
        }
        let seed = try values.int("seed", in: 0...Int.largestCount)
        guard let size else {
            if seed != nil { throw values.missing("test_size", "the number of rows that a split is to set aside") }
            return nil
        }
        return DatasetRecipe.Split(testSize: size, seed: seed ?? 42)
    }

    static func texts(_ node: YAMLNode, _ path: String, _ name: String) throws -> [String] {
        let items: [YAMLNode]
        if case .list(let list) = node.content { items = list } else { items = [node] }
        let texts = items.compactMap { item -> String? in
            guard case .scalar(let text, _) = item.content, !text.isEmpty else { return nil }
            return text
        }
        guard texts.count == items.count, !texts.isEmpty else {
            throw RecipeError(
                .invalidOption,
                RecipeSection.place(name, node.line, path),
                found: "is \(node.shownText)",
                expected: "a text, or a list of texts"
            )
        }
        return texts
    }
}

extension RecipeSection {
    /// A text, or a list of texts.
    package func texts(_ key: String) throws -> [String]? {
        try node(key).map { try DatasetReader.texts($0, Self.joined(path, key), name) }
    }

    /// Texts by name; none where the key is absent.
    package func textsByName(_ key: String) throws -> [String: String] {
        guard let node = node(key) else { return [:] }
        guard case .mapping(let members) = node.content else {
            throw wrong(key, node, "a mapping of names to texts")
        }
        var texts: [String: String] = [:]
        for (name, value) in members {
            guard case .scalar(let text, _) = value.content else {
                throw wrong(key, value, "a mapping of names to texts")
            }
            texts[name] = text
        }
        return texts
    }
}
