//! Commands and restore files to rules; rules to save and list forms; errors with positions.
