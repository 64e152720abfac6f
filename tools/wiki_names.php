<?php
/* Names of a wiki's namespaces and magic words, and how its language writes numbers; one JSON line for each code on standard input. */
require_once getenv( 'MW_INSTALL_PATH' ) . '/maintenance/Maintenance.php';
class Names extends Maintenance {
	public function execute() {
		$languages = MediaWiki\MediaWikiServices::getInstance()->getLanguageFactory();
		foreach ( file( 'php://stdin', FILE_IGNORE_NEW_LINES ) as $code ) {
			$language = $languages->getLanguage( $code );
			$names = [];
			foreach ( $language->getNamespaces() as $number => $name ) $names[$number][] = $name;
			foreach ( $language->getNamespaceAliases() as $name => $number ) $names[$number][] = $name;
			$switches = []; $functions = [];
			foreach ( $language->getMagicWords() as $id => $words ) {
				foreach ( array_slice( $words, 1 ) as $word ) {
					if ( str_starts_with( $word, '__' ) ) $switches[] = $word;
					if ( in_array( $id, [ 'formatnum', 'lc', 'uc', 'lcfirst', 'ucfirst', 'pagename', 'redirect' ] ) ) $functions[$id][] = $word;
				}
			}
			echo json_encode( [ 'code' => $code, 'file' => $names[6], 'category' => $names[14], 'template' => $names[10], 'switches' => $switches,
				'functions' => $functions, 'months' => array_map( [ $language, 'getMonthNameGen' ], range( 1, 12 ) ), 'numbers' => [ $language->formatNum( '1234567890.12' ), $language->formatNum( '1234' ), $language->formatNumNoSeparators( '0123456789' ) ] ], JSON_UNESCAPED_UNICODE ), "\n";
		}
	}
}
$maintClass = Names::class;
require_once RUN_MAINTENANCE_IF_MAIN;
