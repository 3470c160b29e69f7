/// The layouts of sentence-transformers folders: the paths of module classes and the keys of their settings.
///
/// Versions from 6 read both; versions up to 5 read their own alone.
public enum ModuleLayout: String, Sendable, Hashable, CaseIterable {
    /// That of versions up to 5.
    case version5 = "5"
    /// That of versions from 6.
    case version6 = "6"
}
