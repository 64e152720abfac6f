<?php
/* Renders wikitext with an installed MediaWiki, for text_quality.py: a JSON line {"title", "text"} in, a JSON line {"html"} out. */
require_once getenv( 'MW_INSTALL_PATH' ) . '/maintenance/Maintenance.php';
class RenderWikitext extends Maintenance {
	public function execute() {
		$services = MediaWiki\MediaWikiServices::getInstance();
		$options = ParserOptions::newFromAnon();
		$space = $services->getContentLanguage()->getNsText( NS_TEMPLATE );
		while ( ( $line = fgets( STDIN ) ) !== false ) {
			$page = json_decode( $line );
			$html = '';
			try {
				$title = Title::newFromText( $page->title ) ?? Title::newFromText( 'Page' );
				$html = $services->getParserFactory()->create()->parse( $page->text, $title, $options )
					->getText( [ 'allowTOC' => false, 'enableSectionEditLinks' => false ] );
			} catch ( Throwable $failure ) {
				fwrite( STDERR, $page->title . ': ' . $failure->getMessage() . "\n" );
			}
			echo json_encode( [ 'html' => $html, 'template' => $space ], JSON_UNESCAPED_UNICODE ), "\n";
		}
	}
}
$maintClass = RenderWikitext::class;
require_once RUN_MAINTENANCE_IF_MAIN;
