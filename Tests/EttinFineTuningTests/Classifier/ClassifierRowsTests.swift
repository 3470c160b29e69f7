import EttinModel
import EttinTables
import Testing

@testable import EttinFineTuning

@Suite("Rows of classifiers")
struct ClassifierRowsTests {
    /// A text and a number in each row, which stands for one of the names.
    private struct Named: TextTable {
        let columnNames = ["text", "label"]
        let rowCount = 3
        let name = "named"
        let names: [String]

        func values(row: Int, columns: [Int]) -> [TableValue] {
            columns.map { $0 == 0 ? .text("row \(row)") : .integer(row) }
        }

        func kind(ofColumn column: Int) -> TableColumnKind { column == 0 ? .text : .integer }

        func classNames(ofColumn column: Int) -> [String]? { column == 0 ? nil : names }

        func place(ofRow row: Int) -> String { "\(name): row \(row)" }
    }

    @Test(
        "Numbers that stand for names are the model's numbers of these names",
        arguments: [
            (["no", "maybe", "yes"], [0.0, 1, 2]), (["yes", "maybe", "no"], [2.0, 1, 0]),
            (["a", "b", "c"], [0.0, 1, 2]),
        ]
    )
    func names(names: [String], expected: [Double]) throws {
        let recipe = try ClassifierRecipe(values: ["model_name_or_path=m", "train_dataset=d"])
        let labels = ClassifierLabels(.singleLabelClassification, names: ["no", "maybe", "yes"])
        let rows = try ClassifierRows(TableView(Named(names: names)), recipe, dataset: nil, labels)
        #expect(try (0..<3).flatMap { try rows.values(ofRow: $0) } == expected)
    }
}
